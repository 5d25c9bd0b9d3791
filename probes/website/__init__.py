"""The steps of the website probe: requests for one site and the evaluation of its pages.

The package knows neither storage nor how requests are sent. `probes.channels.website` calls it.
Start with `page_analysis`.
"""
