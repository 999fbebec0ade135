PKGS += zlib
