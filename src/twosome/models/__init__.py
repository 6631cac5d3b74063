"""Words to numbers: loading, encoding, packing, scoring, and the policy built on them."""
