/* SPDX-License-Identifier: ISC */
/*
 * The settings of a mail's form, which are the same by whatever protocol it
 * goes.  base64 is the default though a server may offer more: what the first
 * hop takes a later one may have to code, and quoted-printable is the worst
 * that can become of a parcel.
 */
#include "transports/letter.h"

#include "smtp/address.h"

#define HOUR_MS 3600000

static int
check_address(const char *key, const char *value, struct err *e)
{
	struct err why = ERR_INIT;

	if (value == NULL || address_check(slice_of(value), true, &why) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, "%s=%s: %s", key, value, why.text);
}

static int
read_coding(struct contract *c, enum letter_coding *coding_out, struct err *e)
{
	static const char *const names[] = {
		[LETTER_BASE64] = "base64", [LETTER_ARMOUR] = "8bit",
		[LETTER_BINARY] = "binary",
	};
	const char *value = contract_setting(c, "encoding", "base64");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*coding_out = (enum letter_coding)i;
		return 0;
	}
	return err_set(e, ERR_CONFIG, "encoding=%s: want base64, 8bit or "
	    "binary", value);
}

int
letter_settings(struct contract *c, struct letter_options *o_out,
    struct err *e)
{
	int ms, rc;

	*o_out = (struct letter_options){
		.from = contract_setting(c, "from", NULL),
		.to = contract_setting(c, "to", NULL),
	};
	rc = check_address("from", o_out->from, e);
	if (rc == 0)
		rc = check_address("to", o_out->to, e);
	if (rc == 0)
		rc = read_coding(c, &o_out->coding, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "date", HOUR_MS, &ms, e);
	if (rc == 0)
		o_out->date_secs = (uint64_t)ms / 1000;
	return rc;
}
