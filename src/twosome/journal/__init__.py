"""What a served agent decided, and what came of it: a file that only grows, its lines, its writer, its reader."""
