"""What stands between a visitor's request and the page: one small guard for each thing that a request may not do.

A page that is served to a network is asked by anyone for anything. No visitor, whatever they send, may keep another
from a verdict, fill the disk, the memory or the log, or touch an upload that is not theirs.
"""
