"""The document that is corrected: its history, its maps, its journal."""
