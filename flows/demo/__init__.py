"""`dinoflow demo`: demo.py runs the pipeline and says what was found of what corpus/ had planted."""
