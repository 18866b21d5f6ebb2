"""The notifier: letters to people, in their language.

letters    what a letter says, made from an order and from what the keyring opened
notifying  one order from the keyring to the mailer
"""
