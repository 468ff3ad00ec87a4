/* Fleet provisioning and just-in-time registration for mosquitto 2: what devices ask of AWS goes to
 * the cloud's own client, and what that answers to the one device that asked, if it is subscribed.
 *
 * What a device publishes to a topic of fleet provisioning, where its policy allows that, becomes
 * $fleet/up/request/<user name>/<client id in hex>/<topic>. A PUBLISH or SUBSCRIBE that no policy
 * allows is told on $fleet/up/denied/<user name>/<client id in hex>/, with the topic as payload. The
 * client with the user name "fleet" publishes $fleet/down/answer/<client id in hex>/<topic> to
 * answer, and $fleet/down/kick/<client id in hex> to end a connection.
 *
 * A device is named by its certificate. One whose name is a line of the file that the option
 * "waiting" names is not let in: its connection ends without a CONNACK, and that is told on
 * $fleet/up/refused/<user name>/<client id in hex>/.
 *
 * After a reload mosquitto asks for each session again, for those of devices that are away, too. One
 * that is not let in then is ended, though it had ended: mosquitto 2.0.11 has it in the list of those
 * that expire twice, and crashes some time later. So every session goes on.
 *
 * It must be the first plugin in mosquitto.conf: then it is asked before dynamic security. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#define OWN "$fleet/"
#define ANSWER "$fleet/down/answer/"
#define KICK "$fleet/down/kick/"
#define COMMON_NAME 13 /* OpenSSL's NID_commonName */

/* Of OpenSSL, which is in mosquitto's process. */
void *X509_get_subject_name(const void *certificate);
int X509_NAME_get_text_by_NID(void *name, int nid, char *text, int size);
void X509_free(void *certificate);

static mosquitto_plugin_id_t *plugin;
static const char *waiting = ""; /* a path */
static bool reloading; /* from a reload to the end of that round of mosquitto's main loop */
static char *addressee; /* the client that the message in hand is for; NULL: it is no answer */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool of_provisioning(const char *topic)
{
	return begins(topic, "$aws/certificates/") || begins(topic, "$aws/provisioning-templates/");
}

static bool is_cloud(const struct mosquitto *client)
{
	const char *name = mosquitto_client_username(client);
	return name != NULL && strcmp(name, "fleet") == 0;
}

/* The topic that tells the cloud who did what with a topic; the caller frees it. */
static char *upward(const char *what, const struct mosquitto *client, const char *topic)
{
	const char *name = mosquitto_client_username(client), *id = mosquitto_client_id(client);
	size_t size = strlen(what) + strlen(name ? name : "") + 2 * strlen(id) + strlen(topic) + 16;
	char *made = mosquitto_malloc(size), *at = made;

	if (made == NULL)
		abort();
	at += sprintf(at, OWN "up/%s/%s/", what, name ? name : "");
	for (; *id; id++)
		at += sprintf(at, "%02x", (unsigned char)*id);
	sprintf(at, "/%s", topic);
	return made;
}

/* Decodes the client id at the start of `text`; `rest` is what follows its slash. */
static char *client_id(const char *text, const char **rest)
{
	char *id = calloc(strlen(text) / 2 + 1, 1), *at = id;
	unsigned int byte;

	if (id == NULL)
		abort();
	for (; sscanf(text, "%2x", &byte) == 1; text += 2)
		*at++ = (char)byte;
	*rest = *text == '/' ? text + 1 : text;
	return id;
}

static int on_message(int event, void *data, void *user)
{
	struct mosquitto_evt_message *message = data;
	char *topic = message->topic, *made = NULL;
	const char *rest;
	(void)event, (void)user;

	free(addressee);
	addressee = NULL;
	if (is_cloud(message->client) && begins(topic, ANSWER)) {
		addressee = client_id(topic + strlen(ANSWER), &rest);
		made = mosquitto_strdup(rest);
	} else if (is_cloud(message->client) && begins(topic, KICK)) {
		char *id = client_id(topic + strlen(KICK), &rest);
		mosquitto_kick_client_by_clientid(id, true);
		free(id);
	} else if (of_provisioning(topic)) {
		made = upward("request", message->client, topic);
	}
	if (made != NULL) {
		mosquitto_free(topic);
		message->topic = made;
	}
	return MOSQ_ERR_SUCCESS;
}

static void tell(const char *what, const struct mosquitto *client, const char *payload)
{
	char *topic = upward(what, client, "");

	mosquitto_broker_publish_copy(NULL, topic, (int)strlen(payload), payload, 0, false, NULL);
	mosquitto_free(topic);
}

static bool waits(const char *name)
{
	FILE *file = fopen(waiting, "r");
	char line[256];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, name) == 0;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static int on_round(int event, void *data, void *user)
{
	(void)data, (void)user;
	reloading = event == MOSQ_EVT_RELOAD;
	return MOSQ_ERR_PLUGIN_DEFER;
}

static int on_connect(int event, void *data, void *user)
{
	struct mosquitto_evt_basic_auth *attempt = data;
	void *certificate;
	char name[128];
	int length;
	(void)event, (void)user;

	if (reloading)
		return MOSQ_ERR_SUCCESS;
	certificate = mosquitto_client_certificate(attempt->client);
	if (certificate == NULL) /* the cloud's own clients have a password */
		return MOSQ_ERR_PLUGIN_DEFER;
	length = X509_NAME_get_text_by_NID(
		X509_get_subject_name(certificate), COMMON_NAME, name, sizeof name);
	X509_free(certificate);
	if (length <= 0 || mosquitto_set_username(attempt->client, name) != MOSQ_ERR_SUCCESS)
		return MOSQ_ERR_AUTH;
	if (!waits(name))
		return MOSQ_ERR_SUCCESS;
	tell("refused", attempt->client, "-");
	return MOSQ_ERR_CONN_REFUSED; /* mosquitto sends a CONNACK for MOSQ_ERR_AUTH alone */
}

static int after(int event, void *data, void *user)
{
	struct mosquitto_evt_acl_check *check = data;
	(void)event, (void)user;

	if (check->access & (MOSQ_ACL_WRITE | MOSQ_ACL_SUBSCRIBE))
		tell("denied", check->client, check->topic);
	return MOSQ_ERR_ACL_DENIED;
}

static int before(int event, void *data, void *user)
{
	struct mosquitto_evt_acl_check *check = data;
	static bool registered;
	(void)event, (void)user;

	if (!registered) { /* only now is dynamic security there: what is registered comes behind it */
		registered = true;
		mosquitto_callback_register(plugin, MOSQ_EVT_ACL_CHECK, after, NULL, NULL);
	}
	if (check->access == MOSQ_ACL_READ && of_provisioning(check->topic)
		&& (addressee == NULL || strcmp(addressee, mosquitto_client_id(check->client)) != 0))
		return MOSQ_ERR_ACL_DENIED;
	return MOSQ_ERR_PLUGIN_DEFER;
}

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++)
		if (versions[i] == 5)
			return 5;
	return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **user,
	struct mosquitto_opt *options, int count)
{
	(void)user;
	plugin = identifier;
	for (int i = 0; i < count; i++)
		if (strcmp(options[i].key, "waiting") == 0 && (waiting = mosquitto_strdup(options[i].value)) == NULL)
			abort();
	mosquitto_callback_register(plugin, MOSQ_EVT_RELOAD, on_round, NULL, NULL);
	mosquitto_callback_register(plugin, MOSQ_EVT_TICK, on_round, NULL, NULL);
	mosquitto_callback_register(plugin, MOSQ_EVT_BASIC_AUTH, on_connect, NULL, NULL);
	mosquitto_callback_register(plugin, MOSQ_EVT_MESSAGE, on_message, NULL, NULL);
	return mosquitto_callback_register(plugin, MOSQ_EVT_ACL_CHECK, before, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *user, struct mosquitto_opt *options, int count)
{
	(void)user, (void)options, (void)count;
	mosquitto_callback_unregister(plugin, MOSQ_EVT_RELOAD, on_round, NULL);
	mosquitto_callback_unregister(plugin, MOSQ_EVT_TICK, on_round, NULL);
	mosquitto_callback_unregister(plugin, MOSQ_EVT_BASIC_AUTH, on_connect, NULL);
	mosquitto_callback_unregister(plugin, MOSQ_EVT_MESSAGE, on_message, NULL);
	mosquitto_callback_unregister(plugin, MOSQ_EVT_ACL_CHECK, before, NULL);
	mosquitto_callback_unregister(plugin, MOSQ_EVT_ACL_CHECK, after, NULL);
	return MOSQ_ERR_SUCCESS;
}
