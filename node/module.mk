PKGS += libevent_core libconfuse jansson smartcols
