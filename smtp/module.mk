# Needs nothing but base.
