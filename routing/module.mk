# Needs base, and the addresses of smtp.
