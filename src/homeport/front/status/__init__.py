"""`/status` for people: one page without scripts or anything from elsewhere.

`page` puts it together and says whether page or JSON is wanted, `cards` shows backends and incidents, `bars` and `plots` draw, `words` says figures,
`style.css` is its look. It shows what `pages.status` has, and nothing more.
"""
