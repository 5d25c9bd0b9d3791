"""What is wrong with a decision that somebody types on a page, in the page's language.

The service complains in English, with the options of the command line; a page has fields in their place.
"""

from __future__ import annotations

from auditor.errors import InputError
from auditor.wording import Wording


def told(trouble: InputError, words: Wording) -> str:
    """What has to be mended; where we have no words for it, that something has."""
    known = {
        "nobody's word is no decision": words.say("Please say whose word it is."),
        "a decision without a reason cannot be judged later": words.say("Please say what it rests on."),
        "this is no date": words.say("This is no date."),
        "this day is past": words.say("This day is past."),
        "this day is to come": words.say("This day is still to come."),
        "nothing was published that long ago": words.say("Nothing was published that long ago."),
        "it is registered already": words.say("This account is registered already."),
        "this is the account it moved from": words.say("This is the address it moved from."),
        "it has no account there": words.say("It has no account there."),
        "it has several accounts there": words.say("It has several accounts there: please name one."),
        "which account is not said": words.say("Please name the account."),
        "what is waived is not said": words.say("Please say what need not be told."),
        "this channel is not audited": words.say("This channel is not looked at."),
    }
    if trouble.why.startswith("such a word holds"):
        return words.say("Such a word does not hold for so long: please name an earlier day.")
    if trouble.why.startswith("this names no"):
        return words.say("This address names no account on that channel.")
    if " called it " in trouble.why:
        return words.say("Somebody decided otherwise before: please take that back first.")
    return known.get(trouble.why) or words.say("This cannot be kept as it was typed.")
