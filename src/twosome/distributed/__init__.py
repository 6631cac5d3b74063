"""One run over several processes: who computes which part, and how all come to the same numbers.

Every process runs the whole learning loop on the same numbers, from the same generators. Three things alone are shared
out: the environments, by their index; what the model reads, by tokens; and the gradient, by parts that a setting of the
run names (``shares``), summed in their order. So no number depends on how many processes there are, and a checkpoint of
one is a checkpoint of any number. ``docs/distributed.md`` says how to start, and what was measured.
"""
