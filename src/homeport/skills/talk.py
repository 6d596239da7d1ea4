"""Chats that the pilot was taught: greetings, what it is, what it can do; every other one gets one plain sentence on how to add a real model."""

from __future__ import annotations

import re

BEYOND = (
    "I am the pilot, the small model that comes with Homeport for trying it out, and this is beyond me: for a real model run `homeport pull hf.co/ORG/REPO`, "
    "or start Ollama with one, and ask again."
)
_LONGEST = 120  # characters of what it was taught
_ADDRESS = r"(?:,? ?(?:there|pilot|again|you|all|everyone|world|friend|mate|dear|team|homeport))?"
_KNOWN = re.compile(
    "|".join(
        (
            rf"(?:hi+|hello+|hey+|hiya|yo|howdy|ahoy|moin|greetings|hallo|good (?:morning|afternoon|evening|day|night)|morning|welcome back){_ADDRESS}",
            r"(?:(?:hi|hello|hey),? )?(?:how are you(?: doing)?(?: today)?|how do you do|how(?:'s| is) it going|what(?:'s| is) up|are you (?:ok|well|"
            r"there))(?:,? pilot)?",
            r"(?:please )?(?:say|just say) (?:hi|hello)(?: to me)?",
            rf"(?:ok(?:ay)?,? |great,? |perfect,? )?(?:thanks|thank you|thx|many thanks|cheers|much appreciated)(?: (?:a lot|so much|very much|again|"
            rf"for (?:your|the) (?:help|answer)))?{_ADDRESS}",
            rf"(?:ok(?:ay)?,? )?(?:bye(?: bye)?|goodbye|see you(?: (?:later|soon|tomorrow))?|farewell|take care|have a (?:nice|good) (?:day|evening|"
            rf"weekend|one)|good night|sleep well|until next time){_ADDRESS}",
            r"(?:(?:hi|hello|hey),? )?(?:so,? )?(?:who|what) (?:are|r) (?:you|u)(?: exactly)?(?: and what can you do)?",
            r"(?:please )?(?:introduce yourself|tell me about yourself|describe yourself|tell me your name)",
            r"(?:what(?:'s| is) your name|your name|do you have a name|what should i call you|who is this|who am i talking to|are you the pilot)",
            r"(?:what|which) (?:kind of )?(?:model|llm|ai|language model) (?:is this|are you)(?: exactly)?",
            r"(?:what can you (?:do|not do)|what can'?t you do|what (?:do you do|are you (?:able to do|good at|bad at|for))|what are your (?:skills|"
            r"abilities|limits)|how can you help(?: me)?|what can i (?:ask|do with) you|what do you know|"
            r"help(?: me)?|can you help(?: me)?|i need help|list your skills|what is your job|do you have limits|what can you do for me)(?:,? please)?",
            r"(?:are you|r u) (?:an? )?(?:human|robot|person|machine|ai|bot|real|alive|conscious|chatgpt|gpt|claude|llama|gemini|smart|clever|"
            r"intelligent|always right|reliable|a large language model|a big model|fast|local|online|in the cloud)",
            r"(?:am i talking to a (?:human|person|bot|machine)|do you have feelings|can (?:i trust you|you be wrong|you think|you feel)|do you make "
            r"mistakes|do you know everything|how (?:good|smart) are you)",
            r"(?:how old are you|when were you born|who (?:made|created|built|trained|wrote) you|where do you (?:come from|live|run)|where are you(?: "
            r"from)?|do you run locally)",
            r"how (?:big|large|small|fast) are you|what (?:size are you|is your (?:size|age|speed))|how many parameters(?: do you have)?|how many "
            r"tokens per second",
            r"how were you trained|what (?:were you trained on|is your training data|is your knowledge cutoff)|how did you learn",
            r"(?:do you have access to the internet|can you (?:search the web|browse(?: the web)?)|are you online|do you (?:remember me|have a memory|"
            r"store my data|keep my messages|learn from me|send my data anywhere)|is this private|is my data safe)",
            r"(?:what (?:is|does) homeport(?: do)?|(?:please )?(?:explain|tell me about|describe) homeport|how does homeport work|what is this "
            r"(?:program|server|gateway)|what is this|why homeport|why should i use homeport)",
        )
    )
)


def known(text: str) -> bool:
    """Whether a message is of the few kinds that the pilot was taught to answer."""
    if len(text) > _LONGEST:
        return False
    bare = re.sub(r"\s+", " ", text.lower().replace("’", "'")).strip(" .!?…:)(")
    return bool(bare) and _KNOWN.fullmatch(bare) is not None
