PKGS += libsodium
