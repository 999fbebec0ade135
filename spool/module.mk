# Debian ships no .pc file for Berkeley DB 5.3.
LIBS += -ldb-5.3
