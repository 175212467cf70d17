"""The pages of the reference, made from the code: ``make docs`` writes them anew, a test holds that they are current.

A column's, a parameter's or a word's meaning stands in the code, behind ``#:`` or in a docstring under it, and is read from
there. What is missing is added there, never on a page.
"""
