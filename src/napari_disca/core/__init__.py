"""Windows and tilings, jobs and their events, errors, threads: values that every floor uses."""
