/* SPDX-License-Identifier: ISC */
#ifndef BASE_BUF_H
#define BASE_BUF_H
/*
 * The one growable buffer and the one slice type.
 *
 * A slice is a pointer and a length into someone else's bytes; it never owns
 * them and is not NUL-terminated.  A buf owns its bytes; `ptr` and `len` may
 * be read directly, all changes go through the functions.  Bytes leave at the
 * front by buf_consume (cheap: nothing is moved until room is needed).
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

struct buf {
	char *ptr;	/* first byte still held */
	size_t len;	/* bytes held */
	char *base;	/* private: start of the allocation */
	size_t cap;	/* private: size of the allocation */
};

#define BUF_INIT { NULL, 0, NULL, 0 }
#define SLICE_LIT(s) ((struct slice){ (s), sizeof(s) - 1 })

void buf_init(struct buf *b);
/* Frees the bytes; the buf is empty and usable again. */
void buf_release(struct buf *b);
/* Forgets the bytes, keeps the memory. */
void buf_clear(struct buf *b);
/* Makes room for `more` bytes behind the end; returns where they go.  The
 * caller then sets them and calls buf_grown with the count really used. */
char *buf_room(struct buf *b, size_t more);
void buf_grown(struct buf *b, size_t used);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addslice(struct buf *b, struct slice s);
void buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap);
/* Drops n bytes from the front (n at most len), or all behind len bytes. */
void buf_consume(struct buf *b, size_t n);
void buf_truncate(struct buf *b, size_t len);
/* The bytes with a NUL behind them (not counted in len); valid until the
 * next change. */
const char *buf_cstr(struct buf *b);
/* The bytes as a NUL-terminated string that the caller frees; b is empty. */
char *buf_steal(struct buf *b);
struct slice buf_slice(const struct buf *b);

struct slice slice_of(const char *text);
bool slice_eq(struct slice a, struct slice b);
/* ASCII letters compare without regard to case. */
bool slice_ieq(struct slice a, struct slice b);
bool slice_eqs(struct slice a, const char *text);
bool slice_ieqs(struct slice a, const char *text);
/* No octet of it has bit 7 set. */
bool slice_is_ascii(struct slice s);
/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);
/* Cuts off the octets up to the next space, which goes too, or all there are;
 * between two spaces that is none.  false: nothing was left. */
bool slice_word(struct slice *rest, struct slice *word_out);
char *slice_dup(struct slice s);
/* ASCII lower case in place, whatever the locale. */
void ascii_lower(char *text, size_t len);
char ascii_tolower(char c);

/*
 * Records: big-endian integers and length-prefixed texts, used for everything
 * the spool stores.  Writing never fails.  Reading keeps a sticky error, so a
 * whole record is read first and `failed` looked at once.
 */
void buf_put8(struct buf *b, uint8_t v);
void buf_put16(struct buf *b, uint16_t v);
void buf_put32(struct buf *b, uint32_t v);
void buf_put64(struct buf *b, uint64_t v);
/* NULL is kept apart from "". */
void buf_put_text(struct buf *b, const char *text);
void buf_put_bytes(struct buf *b, const void *bytes, size_t len);

struct reader {
	const char *ptr;
	size_t len;
	bool failed;	/* something was missing; all later reads give zero */
};

struct reader reader_of(const void *bytes, size_t len);
uint8_t read8(struct reader *r);
uint16_t read16(struct reader *r);
uint32_t read32(struct reader *r);
uint64_t read64(struct reader *r);
char *read_text(struct reader *r);	/* caller frees; NULL if NULL was put */
struct slice read_bytes(struct reader *r);	/* into the record itself */

#endif
