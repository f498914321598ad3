"""The recipe, walked from top to bottom, whoever is asked: a build and a plan differ in what they give it."""
