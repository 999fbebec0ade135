# Needs nothing but base and smtp.
