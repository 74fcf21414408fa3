"""The access graph as Mermaid, as DOT and as one self-contained HTML page; what it holds is decided elsewhere."""
