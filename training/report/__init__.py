"""What the reports of all kinds of runs share: the skeleton of the page, its parts, and the statistics that it shows."""
