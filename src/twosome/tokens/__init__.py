"""Words to token ids, and token ids to packs in which every token is read once; no model is needed here."""
