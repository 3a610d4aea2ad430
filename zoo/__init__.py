"""One YAML recipe becomes a small agent: trained, merged, exported, verified, carded and published."""

__version__ = "0.1.0"
