PKGS += libevent_core jansson smartcols
