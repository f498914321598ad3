"""The page with hands: what a person does on it, and the server on loopback that it speaks to.

    snapshot    the page and rows that tabs look at, and one of these rows by its id
    reviewing   a review, from the one before it and what a person has just said. Pure
    said        what people have said by now, and what of it waits for a build
    hands       what a person does → the files that people own, and back again
    server      HTTP on loopback: who may ask, and what

Knows no command; how rows are read into a page is for who starts it.
"""
