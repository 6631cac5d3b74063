"""What an adapter did to the language of its model: texts, next-token distributions, and tasks, adapter off and on."""
