/* SPDX-License-Identifier: ISC */
#ifndef NODE_DELIVERY_AGENT_H
#define NODE_DELIVERY_AGENT_H
/*
 * What delivery.c shares with the agents, delivery_*.c; nobody else includes
 * it.  A driver gets tasks: jobs whose outcomes are kept account of, so that
 * every recipient is told once, whatever road the driver takes.
 *
 *	start(self, task)	called inside somebody else's hook: queue it
 *				and return, work comes from the event loop
 *	delivery_task_load	reads the message; on error the task is over
 *	delivery_task_tell	for each recipient that is settled
 *	delivery_task_over	who was not told is told "retry"
 */
#include "base/list.h"
#include "node/delivery.h"

struct delivery_task {
	struct list link;	/* the driver's */
	struct list all;	/* delivery.c's */
	struct delivery *agent;
	struct delivery_job *job;
	struct message msg;	/* once loaded */
	bool loaded;
	bool *told;		/* of each of the job's recipients */
	size_t ntold;
	size_t next;		/* the driver's: recipients taken so far */
	bool again;		/* the driver's: it was given another try */
};

struct delivery_driver {
	const char *name;
	void *(*make)(struct delivery *a);
	/* Leaves the tasks alone: delivery.c ends them. */
	void (*free)(void *self);
	void (*start)(void *self, struct delivery_task *t);
};

extern const struct delivery_driver delivery_smtp;
extern const struct delivery_driver delivery_maildir;
extern const struct delivery_driver delivery_command;

struct delivery {
	const struct delivery_driver *driver;
	void *self;
	struct event_base *base;
	struct delivery_hooks hooks;
	char *hostname;
	char *target;		/* as it stands in the configuration */
	char *domain;		/* the first it serves: for "postmaster" */
	bool lmtp, convert;
	const struct conf_delivery *conf;	/* only while it is made */
	bool crlf, envelope_headers;
	bool final;
	char *null_sender;
	uint64_t deadline_secs, connect_secs;
	struct smtp_client_timeouts timeouts;
	unsigned connections;
	struct list tasks;
	size_t running;
	bool closing;
};

/* 0, also when it was loaded already; -1: the message cannot be read, all were
 * told and t is freed. */
int delivery_task_load(struct delivery_task *t) MUST_CHECK;
/* i counts the job's recipients.  Telling one twice changes nothing. */
void delivery_task_tell(struct delivery_task *t, size_t i,
    enum delivery_outcome outcome, const char *status, const char *text);
/* Tells all who were not told yet. */
void delivery_task_tell_rest(struct delivery_task *t,
    enum delivery_outcome outcome, const char *status, const char *text);
/* The same for what e says about reading the message or its content. */
void delivery_task_tell_spool(struct delivery_task *t, const struct err *e);
/* Frees t. */
void delivery_task_over(struct delivery_task *t);
/* Outcome, status and words for an error of the spool. */
enum delivery_outcome delivery_spool_outcome(const struct err *e,
    const char **status_out, const char **text_out);
/* Appends what goes before the content in a file or to a command:
 * Return-Path and Received, as configured, with the line ends of the agent. */
void delivery_head(const struct delivery_task *t, struct buf *out);
/* CR LF becomes LF; a CR on its own stays.  A CR at the end of a piece is held
 * for the next; the caller writes it where there is none. */
void delivery_add_lf(bool *held_cr, struct buf *out, const char *in,
    size_t len);
/* Appends the Received field where trace is configured; eol ends its lines
 * (RFC 5321 4.4). */
void delivery_trace(const struct delivery_task *t, const char *eol,
    struct buf *out);

#endif
