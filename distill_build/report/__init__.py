"""The page: one HTML file that shows a dataset, what differs from another version, or the jobs of a sweep.

    data       what a page is made of, as plain values
    reading    the one pass over a dataset's rows, from which most of it comes
    families   a row with all that hangs on it, as the page has it
    drawing    which families are on the page, within a bound of bytes
    columns    lengths, numbers and shares of what rows say
    spending   tokens and cost by stage and model
    facts      settings, prompts, versions, failures, and what is to be said
    page       all of that → HTML

Knows no command, and nothing of servers: `page.render` takes the data and gives the text.
"""
