// SPDX-License-Identifier: GPL-2.0
/*
 * A 1-Wire bus without a wire, with one to four DS18B20 on it, which the kernel's own w1_therm reads.
 *
 * Parameters, below /sys/module/w1_sim/parameters: `count`; for each thermometer `milli`, what it
 * measures, in thousandths of a degree, and `fault`: 1 it is off the bus, 2 its checksum is wrong,
 * 4 it says all ones, as a line that nobody pulls down, 8 all zeros, as one that is short, 16 it
 * has lost its power and says 85 degrees until it measures without this fault.
 *
 * ROM codes, commands and scratchpad: the DS18B20's data sheet.
 */
#include <linux/module.h>
#include <linux/w1.h>

#define MOST 4
#define OFF_THE_BUS 1
#define WRONG_CHECKSUM 2
#define ALL_ONES 4
#define ALL_ZEROS 8
#define POWER_LOST 16

static int count = 1;
static int milli[MOST] = { 20000, 20000, 20000, 20000 };
static int fault[MOST];
module_param(count, int, 0444);
module_param_array(milli, int, NULL, 0644);
module_param_array(fault, int, NULL, 0644);

static u64 roms[MOST];		/* family in the low byte, checksum in the high one */
static s16 measured[MOST];	/* sixteenths of a degree */
static u8 resolution[MOST];

/* What the master has said since the last reset. */
static enum { IDLE, ROM_COMMAND, MATCHING, COMMAND, ANSWER } state;
static u8 matched[8], command, scratchpad[9];
static int position;
static bool addressed[MOST];

static bool answers(int i)
{
	return !(fault[i] & OFF_THE_BUS);
}

static u8 checksum(const u8 *bytes, int length)
{
	u8 sum = 0;
	int bit;

	while (length--) {
		sum ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			sum = sum & 1 ? (sum >> 1) ^ 0x8c : sum >> 1;
	}
	return sum;
}

static void measure(int i)
{
	measured[i] = fault[i] & POWER_LOST ? 85 * 16 : DIV_ROUND_CLOSEST(milli[i] * 16, 1000);
}

static void fill_scratchpad(int i)
{
	u8 bytes[9] = { measured[i] & 0xff, measured[i] >> 8, 0x4b, 0x46, resolution[i], 0xff, 0x0c, 0x10 };

	bytes[8] = checksum(bytes, 8);
	if (fault[i] & WRONG_CHECKSUM)
		bytes[0] ^= 0x55;
	if (fault[i] & ALL_ONES)
		memset(bytes, 0xff, sizeof(bytes));
	if (fault[i] & ALL_ZEROS)
		memset(bytes, 0, sizeof(bytes));
	memcpy(scratchpad, bytes, sizeof(bytes));
}

static u8 reset_bus(void *data)
{
	bool present = false;
	int i;

	for (i = 0; i < count; i++)
		present |= answers(i);
	state = ROM_COMMAND;
	return !present;
}

static void obey(u8 byte)
{
	int i;

	command = byte;
	position = 0;
	state = ANSWER;
	memset(scratchpad, 0xff, sizeof(scratchpad));
	for (i = 0; i < count; i++) {
		if (addressed[i] && command == 0x44)
			measure(i);
		if (addressed[i] && command == 0xbe)
			fill_scratchpad(i);
	}
}

static void write_byte(void *data, u8 byte)
{
	int i;

	switch (state) {
	case ROM_COMMAND:
		position = 0;
		state = byte == 0x55 ? MATCHING : byte == 0xcc ? COMMAND : IDLE;
		for (i = 0; i < count; i++)
			addressed[i] = answers(i);
		break;
	case MATCHING:
		matched[position++] = byte;
		if (position < 8)
			break;
		state = COMMAND;
		for (i = 0; i < count; i++)
			addressed[i] = answers(i) && !memcmp(&roms[i], matched, 8);
		break;
	case COMMAND:
		obey(byte);
		break;
	case ANSWER:
		if (command == 0x4e && position++ == 2)
			for (i = 0; i < count; i++)
				if (addressed[i])
					resolution[i] = byte;
		break;
	case IDLE:
		break;
	}
}

/* 0xff besides the scratchpad: the measurement has ended. */
static u8 read_byte(void *data)
{
	return state == ANSWER && command == 0xbe && position < 9 ? scratchpad[position++] : 0xff;
}

/* A one: none of them lives on the data line's power. */
static u8 touch_bit(void *data, u8 bit)
{
	return bit;
}

static void search(void *data, struct w1_master *bus, u8 type, w1_slave_found_callback found)
{
	int i;

	for (i = 0; i < count; i++)
		if (answers(i))
			found(bus, roms[i]);
}

static struct w1_bus_master master = {
	.reset_bus = reset_bus,
	.write_byte = write_byte,
	.read_byte = read_byte,
	.touch_bit = touch_bit,
	.search = search,
};

static int __init w1_sim_init(void)
{
	int i;

	count = clamp(count, 1, MOST);
	for (i = 0; i < MOST; i++) {
		u8 rom[8] = { 0x28, 1 + i, 0x00, 0xef, 0xbe, 0xad, 0xde };

		rom[7] = checksum(rom, 7);
		memcpy(&roms[i], rom, 8);	/* w1 numbers are little-endian, as this processor */
		measured[i] = 85 * 16;
		resolution[i] = 0x7f;
	}
	return w1_add_master_device(&master);
}

static void __exit w1_sim_exit(void)
{
	w1_remove_master_device(&master);
}

module_init(w1_sim_init);
module_exit(w1_sim_exit);
MODULE_DESCRIPTION("DS18B20 thermometers on a simulated 1-Wire bus");
MODULE_LICENSE("GPL");
