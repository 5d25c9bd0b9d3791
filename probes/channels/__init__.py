"""The channels: every module here that has HOSTS is one."""
