LIBS += -ldb
