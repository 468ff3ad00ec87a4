// SPDX-License-Identifier: GPL-2.0
/*
 * An I2C bus without wires: at every address there are 256 registers of 16 bits, which a test
 * writes through /dev/i2c-N, and which a driver then finds.
 *
 * Parameters, below /sys/module/i2c_sim/parameters: `fault`, the error number that comes instead of
 * an answer, as 121 (EREMOTEIO) where nobody acknowledges; `fault_register`, the only register that
 * it is for; -1, as at first, is all of them.
 */
#include <linux/i2c.h>
#include <linux/module.h>

static int fault;
static int fault_register = -1;
module_param(fault, int, 0644);
module_param(fault_register, int, 0644);

static u16 registers[128][256];

static s32 transfer(struct i2c_adapter *adapter, u16 address, unsigned short flags, char direction,
		    u8 number, int size, union i2c_smbus_data *data)
{
	u16 *device = registers[address & 0x7f];
	bool reading = direction == I2C_SMBUS_READ;
	int i;

	if (fault && (fault_register < 0 || fault_register == number))
		return -fault;
	switch (size) {
	case I2C_SMBUS_QUICK:
		return 0;
	case I2C_SMBUS_BYTE_DATA:
		if (reading)
			data->byte = device[number];
		else
			device[number] = data->byte;
		return 0;
	case I2C_SMBUS_WORD_DATA:
		if (reading)
			data->word = device[number];
		else
			device[number] = data->word;
		return 0;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		for (i = 0; i < data->block[0]; i++)
			if (reading)
				data->block[1 + i] = device[(u8)(number + i)];
			else
				device[(u8)(number + i)] = data->block[1 + i];
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static u32 functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_SMBUS_QUICK | I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA |
	       I2C_FUNC_SMBUS_I2C_BLOCK;
}

static const struct i2c_algorithm algorithm = {
	.smbus_xfer = transfer,
	.functionality = functionality,
};

static struct i2c_adapter adapter = {
	.owner = THIS_MODULE,
	.algo = &algorithm,
	.name = "i2c-sim",
};

static int __init i2c_sim_init(void)
{
	return i2c_add_adapter(&adapter);
}

static void __exit i2c_sim_exit(void)
{
	i2c_del_adapter(&adapter);
}

module_init(i2c_sim_init);
module_exit(i2c_sim_exit);
MODULE_DESCRIPTION("A simulated I2C bus whose devices are written by a test");
MODULE_LICENSE("GPL");
