"""Models in one GGUF file: found, checked, unpacked once, kept as a directory that everything else reads.

naming       what a user may call one, and where it lies
header       what the file says of itself
conversion   the file as an ordinary model directory
copies       that directory, kept between processes
sameness     whether a file is still the one a run or an adapter was trained on
"""
