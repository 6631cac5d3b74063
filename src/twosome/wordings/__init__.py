"""The words of the built-in worlds as data: templates by name, and how a wording is chosen or made from another."""
