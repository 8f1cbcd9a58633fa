"""One scan says what is read; one file for each engine hands it over in its native form."""
