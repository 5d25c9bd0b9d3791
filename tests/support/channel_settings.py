"""Settings of tests that audit only some channels."""

from probes.links.channel_registry import list_channel_names


def disable_channels_except(*names: str) -> str:
    """Return TOML tables that leave out all other channels."""
    disabled = [name for name in list_channel_names() if name not in names]
    return "".join(f"[channels.{name}]\nenabled = false\n" for name in disabled)
