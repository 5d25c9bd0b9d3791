"""Page makers of the practice web: one module per platform, each modelled on what it answers today."""
