"""Which way of reading a model is right: found out by trying, judged by its errors, remembered."""
