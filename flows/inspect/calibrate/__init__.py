"""`dinoflow calibrate`: a person's yes or no for some thirty pairs sets the limit from which on two images are copies.

pairs.py chooses them, in strata of the score · answers.py keeps what was said of them · page.py draws, server.py asks
estimate.py makes precision and recall of the answers · verdict.py says what they come to · calibrate.py: the command.
"""
