# Needs nothing but base and smtp.
# libm: the model behind frame sizes and error correction.
LIBS += -lm
