"""What the linear model of messages looks at: hashed n-grams, and how each sentence is built, in plain Python, for `pilot/linear.py` trains on the same."""

from __future__ import annotations

import re
import zlib

SIZE = 1 << 16  # places of the hash
MOST_WORDS = 300  # the beginning and the end of a longer text
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|[?!]+|…|\.\.\.")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\w)[^.!?\n]+)*[.!?]*")
_OPENING = re.compile(
    r"^(?:(?:hi|hello|hey|hiya|moin|dear|good (?:morning|afternoon|evening|day)|greetings|sorry|excuse me|ok|okay|so|and|but|well|also|now|then|just|"
    r"quick question|"
    r"one question|question)\b[\s,:!-]*(?:(?:there|all|team|folks|everyone|guys|sir or madam|again|to bother you)\b[\s,:!-]*)*)+"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WH = _words("what what's whats when where where's who who's whom whose which why how how's")
AUX = _words(
    "is are was were am do does did has have had will would can could shall should may might must isn't aren't doesn't don't didn't won't hasn't haven't"
)
YOU = _words("you u someone somebody anyone anybody")
ASKS_FOR = _words("please pls plz kindly bitte")
WANTS = (
    "i want", "i need", "i would like", "i'd like", "i wish", "we need", "we want", "we would like", "we'd like", "i'd appreciate", "i would appreciate", "would be great if",
    "would be nice if", "would be good if", "let me have", "i'd love", "i would love", "i request", "we request", "i hereby", "we ask you", "i ask you", "i'm asking you",
    "make sure", "looking to", "grateful if", "help me", "help us", "need help", "get me", "time to",
)  # fmt: skip
KNOWS = (
    "wondering", "i wonder", "want to know", "like to know", "need to know", "do you know", "does anyone know", "does anybody know", "can you tell me", "could you tell me",
    "any idea", "any news", "anyone know", "curious", "tell me whether", "tell me if", "tell me when", "tell me how", "tell me what", "tell me where", "tell me why",
    "question about", "unsure", "not sure", "don't understand", "do not understand", "what about", "how about", "is it true", "is there", "are there", "let me know if",
    "let me know whether", "let me know when", "clarify", "asking whether", "asking if", "to ask",
)  # fmt: skip
DO = _words(
    "add adjust allow answer apply approve arrange ask assign attach block book bring build buy calculate call cancel change charge check choose clean "
    "clear close collect come "
    "compare compose configure confirm connect contact convert copy correct count create deactivate delete deliver deposit design disable dispatch do "
    "double download draft "
    "edit email enable end enrol ensure enter erase exchange exclude expand explain export extend fetch fill find finish fit fix flag follow format "
    "forward freeze generate "
    "get give grant have help hold import include increase inform insert inspect install invite issue join keep leave lend let list load lock look "
    "lower mail make mark merge "
    "message move mute note notify open order organise organize pack paint park pass pause pay phone pick place plan play post postpone prepare "
    "prescribe print process provide "
    "publish pull push put quote raise reactivate read rebook recommend record redirect reduce refer refill refund register release remind remove "
    "rename renew reopen repair "
    "repeat replace reply report request reschedule reserve reset resend restart restore resubmit return review revoke ring rotate run save say "
    "schedule search select send "
    "separate set share ship shorten show sign sing sort speak split start stop store submit subscribe suggest summarise summarize suspend swap switch "
    "take talk tell terminate test "
    "text throw track transfer translate try turn unblock unlock unsubscribe update upgrade upload use verify wake waive warm wash water withdraw wrap write",
)
TELLING = _words("tell explain say clarify remember know recall elaborate specify describe confirm imagine guess see believe recommend")
SOFTLY = _words("please pls kindly maybe perhaps just quickly also possibly be so kind and to help me us")
BAD = _words(
    "absurd abysmal angry annoyed annoying appalled appalling arrogant ashamed atrocious awful bad badly bill-shock blamed blatant bogus broke broken "
    "bug bugs buggy bust careless "
    "chaos cheated cheek cold collapsed complain complaint complaints cracked crap crash crashed crashes crashing cut damaged dangerous dead deaf "
    "deceived defective dent dented dirty disappointed "
    "disappointing disappointment disaster disgrace disgraceful disgusted disgusting dishonest dismal dreadful dripping dropped dump embarrassing "
    "error errors excuse excuses "
    "expired fail failed failing fails failure faulty fed-up filthy flawed forgot forgotten fraud freezing frustrated frustrating frustration furious "
    "garbage ghosted gone grumpy hate "
    "hopeless horrible horrid hung ignorant ignored ill-mannered impolite impossible incompetent inedible insane insulted insulting insult intolerable "
    "joke kaput lame late lazy leak leaked leaking leaks "
    "letdown lied lie lies lost lousy ludicrous mess messed messy misleading mislead misled missed missing mistake mistakes mould mouldy moldy nasty "
    "neglected nightmare noise noisy "
    "nonsense nowhere outrage outraged outrageous overcharged overpriced patchy pathetic patience peeling poor poorly problem problems rattles "
    "rattling refuse refused refuses refusing "
    "regret reeks ridiculous rip-off ripped robbed rotten rubbish rude ruined rusty scam scandal scratched scratches shambles shame shameful shoddy "
    "shocked shocking sick slow sloppy smashed smell smells "
    "smelly smelt sour spoiled spoilt stained stale stank stink stinks stinking stolen stuck stupid substandard terrible tired torn trash troubles "
    "ugly unacceptable unanswered unbearable unbelievable "
    "uncomfortable undercooked unfair unfriendly unhappy unhelpful unprofessional unreadable unreliable unresolved unsafe unusable upset useless waste "
    "wasted weeks worse worst worthless wrong yelled",
)
MISFORTUNE = (
    "never again", "not work", "n't work", "not working", "stopped working", "still not", "still no", "still waiting", "still hasn't", "still haven't", "been waiting", "waited",
    "no reply", "no answer", "nobody", "no one", "not one", "third time", "second time", "fifth time", "once again", "yet again", "over and over", "again and again", "every time",
    "each time", "how many times", "how long do i", "fell apart", "fell off", "came off", "falls apart", "too loud", "too slow", "too expensive", "too late", "far too", "way too", "money back",
    "not what i", "not as described", "instead of", "not acceptable", "had enough", "fed up", "sick of", "tired of", "what kind of", "let down", "not happy", "less than", "without asking",
    "without warning", "for nothing", "charged me", "charged twice", "hung up", "hangs up", "keeps", "kept", "was told", "were told", "you promised", "promised", "supposed to", "not even", "no hot",
    "no water", "no heating", "out of order", "never arrived", "never came", "never got", "never showed", "never received", "didn't show", "did not show", "hasn't arrived", "has not arrived",
    "has not come", "hours late", "half of", "expected better", "expected more", "one star", "zero stars", "is this a joke", "can't believe", "cannot believe", "won't turn", "won't start", "won't open", "won't charge",
    "does nothing", "do nothing", "don't care", "doesn't care", "no apology", "an apology", "excuse me but", "how dare", "how can it be", "how is it possible", "why do i", "why must i", "why can't", "why is it that",
)  # fmt: skip
GLAD = _words(
    "thanks thank thx grateful appreciate appreciated lovely wonderful great perfect happy glad pleased good nice fine excellent brilliant fantastic "
    "amazing awesome beautiful "
    "delicious enjoyed love loved cool super congratulations cheers welcome kudos compliments delighted superb",
)
TELLS = (
    "fyi", "for your information", "just to let you know", "just letting you know", "for the record", "attached is", "attached are", "please find", "find attached", "enclosed", "as discussed",
    "as agreed", "as promised", "no need", "no action", "all good", "all set", "all done", "is done", "got it", "out of office", "on leave", "i am away", "works now", "working again", "no reply needed",
    "happy birthday", "see you", "looking forward", "will be", "we will", "i will", "i'll", "has arrived", "arrived today", "i have paid", "i paid", "nothing to", "has moved", "we moved", "my name is",
    "confirmed", "reminder that", "note that", "be advised", "turns out", "ignore my", "disregard", "never mind", "thought you", "in case you",
)  # fmt: skip


def sentences(text: str) -> list[str]:
    """A text as sentences, blanks at their ends left out; at most forty."""
    return [found for one in _SENTENCE.findall(text) if (found := one.strip())][:40]


def _built(sentence: str) -> list[str]:
    """How one sentence is built, in a few signs."""
    low = sentence.lower().replace("’", "'")
    bare = _OPENING.sub("", low).lstrip(" ,:-–")
    words = _WORD.findall(bare)
    if not words:
        return ["nothing"]
    first, second = words[0], words[1] if len(words) > 1 else ""
    third = words[2] if len(words) > 2 else ""
    found = []
    polite = bool(ASKS_FOR & set(words))
    mark = low[-1] if low[-1] in "?!" else "."
    if first in ASKS_FOR:
        first, second, third = second, third, ""
    if first in WH:
        found.append(f"wh {first}")
        found.append("wh aux" if second in AUX else "wh plain")
    if first in AUX and (second in YOU):
        found.append(f"you {first}")
        verb = next((word for word in words[2:6] if word not in SOFTLY), "")
        found.append("you tell" if verb in TELLING else "you do" if verb in DO else "you other")
    elif first in AUX:
        found.append(f"aux {first}")
    if first in DO:
        found.append("do first")
        found.append(
            "do the"
            if second in ("the", "a", "an", "my", "me", "us", "our", "this", "that", "it", "all", "up", "to", "in", "on", "off", "for", "two")
            else "do bare"
        )
    if polite:
        found.append("polite")
    for name, phrases in (("wants", WANTS), ("knows", KNOWS), ("misfortune", MISFORTUNE), ("tells", TELLS)):
        hits = sum(phrase in low for phrase in phrases)
        if hits:
            found.append(name)
        if hits > 1:
            found.append(f"{name} much")
    for name, lexicon in (("bad", BAD), ("glad", GLAD)):
        hits = len(lexicon & set(words))
        if hits:
            found.append(name)
        if hits > 1:
            found.append(f"{name} much")
    if {"not", "no", "never", "nothing", "nobody", "neither", "nor", "without", "cannot"} & set(words) or "n't" in low:
        found.append("negated")
    if first in ("i", "we", "my", "our"):
        found.append("of us")
    if first in ("you", "your", "yours"):
        found.append("of you")
    if first in ("the", "a", "an", "this", "these", "it", "he", "she", "they", "there"):
        found.append("of it")
    found.append(f"mark {mark}")
    return [*found, *(f"{one} {mark}" for one in found[:-1])]


def features(text: str) -> list[int]:
    """The places of a text: words alone, in pairs and threes, pieces of words, how it begins and ends, how its sentences are built."""
    words = [("0" if word[0].isdigit() else word) for word in _WORD.findall(text.lower().replace("’", "'"))]
    if len(words) > MOST_WORDS:
        words = words[: MOST_WORDS * 2 // 3] + words[-MOST_WORDS // 3 :]
    found = [f"w {word}" for word in words]
    found += [f"p {a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True)]
    found += [f"t {a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)]
    for word in set(words):
        padded = f"<{word[:24]}>"
        found += [f"c {padded[at : at + 4]}" for at in range(len(padded) - 3)]
    found += [f"e {text.strip()[-1:]}", f"b {' '.join(words[:2])}", f"n {min(len(words) // 4, 8)}"]
    places = {zlib.crc32(one.encode("utf-8", "replace")) % SIZE for one in found}
    return sorted(places)


def structure(text: str) -> list[int]:
    """The places of how a text's sentences are built: the same few hundred for every text, whatever its words."""
    said = sentences(text)
    found = []
    seen = [_built(one) for one in (said if len(said) <= 12 else said[:8] + said[-4:])]
    for at, signs in enumerate(seen):
        found += [f"s {sign}" for sign in signs]
        if at == 0:
            found += [f"s first {sign}" for sign in signs]
        if at == len(seen) - 1:
            found += [f"s last {sign}" for sign in signs]
    every = {sign for signs in seen for sign in signs}
    for a, b in (
        ("bad", "knows"),
        ("misfortune", "knows"),
        ("bad", "polite"),
        ("misfortune", "polite"),
        ("bad", "wants"),
        ("glad", "polite"),
        ("glad", "tells"),
        ("misfortune", "bad"),
        ("bad", "glad"),
    ):
        if a in every and b in every:
            found.append(f"s {a} & {b}")
    found.append(f"s count {min(len(said), 5)}")
    if not every & {"bad", "misfortune", "negated"}:
        found.append("s calm")
    return sorted({zlib.crc32(one.encode()) % SIZE for one in found})
