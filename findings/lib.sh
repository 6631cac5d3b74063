# Sourced by the scripts beside it. Each has a temporary folder of its own, with a virtual environment and what it
# writes, which is removed when the script ends, however it ends.
#
#   install PACKAGE==VERSION ...   makes the environment; packages come from pip's cache if they were fetched before
#   show                           runs the Python program on standard input in it

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

install() {
    "${PYTHON:-python3}" -m venv "$here/venv"
    # Not compiled: a script imports few of torch's files.
    if ! "$here/venv/bin/python" -m pip install --quiet --no-compile \
        ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$@" >"$here/pip.log" 2>&1; then
        cat "$here/pip.log" >&2
        echo "not installed: $*" >&2
        exit 1
    fi
}

show() {
    cat >"$here/show.py"
    # No model or tokenizer is fetched; one thread, so that only the behaviour shown can change a number.
    (cd "$here" && env -u PYTHONPATH HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$here/venv/bin/python" show.py)
}
