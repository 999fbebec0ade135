PKGS += zlib liblzma libzstd
LIBS += -lbz2
