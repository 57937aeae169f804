"""The exchange as it speaks: its operations, its shapes, its limits; nothing of ours."""
