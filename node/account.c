/* SPDX-License-Identifier: ISC */
/*
 * From root to the daemon's account.  Directories are made and given away
 * while we may; files are made as the account, and so are its own at once.
 */
#include "node/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

int
account_find(const struct conf *conf, uid_t *uid_out, gid_t *gid_out,
    struct err *e)
{
	const struct passwd *pw;
	const struct group *gr;

	*uid_out = geteuid();
	*gid_out = getegid();
	if (conf->user == NULL || geteuid() != 0)
		return 0;
	pw = getpwnam(conf->user);
	if (pw == NULL)
		return err_set(e, ERR_CONFIG, "there is no user \"%s\" "
		    "(site: user); add it with: adduser --system --group %s",
		    conf->user, conf->user);
	*uid_out = pw->pw_uid;
	*gid_out = pw->pw_gid;
	if (conf->group == NULL)
		return 0;
	gr = getgrnam(conf->group);
	if (gr == NULL)
		return err_set(e, ERR_CONFIG, "there is no group \"%s\" "
		    "(site: group)", conf->group);
	*gid_out = gr->gr_gid;
	return 0;
}

int
account_become(const struct conf *conf, uid_t uid, gid_t gid,
    struct err *e)
{
	if (geteuid() != 0 || uid == 0)
		return 0;
	if (initgroups(conf->user, gid) != 0 ||
	    setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return err_errno(e, "cannot become the user \"%s\"",
		    conf->user);
	return 0;
}

int
account_own_dir(const char *dir, mode_t mode, uid_t uid, gid_t gid,
    struct err *e)
{
	int rc = file_make_dirs(dir, mode, e);

	if (rc == 0 && uid != 0 && chown(dir, uid, gid) != 0)
		rc = err_errno(e, "cannot give %s to its user", dir);
	return rc;
}
