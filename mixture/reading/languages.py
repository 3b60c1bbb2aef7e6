"""How answers are marked, hedged, refused and closed in ten languages: one row a language, each field a piece of a regular expression."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache


@dataclass(frozen=True, slots=True)
class Language:
    """Pieces of regular expressions; "" where a language has nothing of the kind.

    answer: "(the final) answer"; links: what stands between it and the answer itself ("is"); negation: takes back what stands near it;
    but: what follows a negation and is meant; alternatives: between two things of which none is picked; reasons: begin an explanation;
    option: "option", "choice"; choose: "I pick"; right, wrong: said of an option; refusal: no answer comes; unsure: nothing is asserted;
    closing: a polite last line; restart: begins the next question; minus: a negative sign; numbers: words for 0, 1, 2 ..., separated by
    spaces, "/" between spellings; ordinals: beginnings of the words for first, second, ...
    """

    answer: str
    links: str
    negation: str
    but: str
    alternatives: str
    reasons: str
    option: str
    choose: str
    right: str
    wrong: str
    refusal: str
    unsure: str
    closing: str
    restart: str
    minus: str
    numbers: str
    ordinals: str


ENGLISH = Language(
    answer=r"(?:(?:final|correct|right|best|actual|overall|my|only|true)\s+){0,3}(?:answers?(?:\s+choice)?|(?:correct|best|right|final|my)\s+(?:option|choice|pick|selection)|(?:correct|final)(?=\s*:))",
    links=r"is|are|was|would\s+be|should\s+be|must\s+be|will\s+be|has\s+to\s+be|could\s+be|might\s+be|may\s+be|becomes|equals",
    negation=r"not|\w+n['’]t|(?:is|was|are|were|do|does|did|ca|wo|would|should|could)nt|cannot|never|neither|nor|without|rather\s+than|instead\s+of|unlike",
    but=r"but(?:\s+rather)?|rather|instead",
    alternatives=r"or|and",
    reasons=r"because|since|as|for|so|which|where|given|due|that|is|are|was|based|according|in|by|with|from|i|it|rather|instead|over|not",
    option=r"options?|choices?|letter|answer",
    choose=r"(?:i|i['’]d|we|i['’]ll|i\s+would|let['’]s)\s+(?:would\s+|will\s+)?(?:therefore\s+)?(?:choose|pick|select|go\s+with|opt\s+for|went\s+with|chose)|i['’]m\s+going\s+with|i\s+(?:think|believe)(?:\s+that)?(?:\s+it['’]s|\s+it\s+is)?|it['’]s|it\s+is|that\s+fits\s+is|definitely|probably|certainly|obviously",
    right=r"correct|right|true|the\s+answer|best|accurate",
    wrong=r"wrong|incorrect|false|not\s+\w+|a\s+distractor|ruled\s+out",
    refusal=r"(?:i|we)(?:['’]m|\s+am|['’]re)?\s+(?:sorry|afraid)\b[^.!?]{0,60}(?:can(?:no|['’])t|not|unable|won['’]t)|i\s+(?:can(?:no|['’])t|am\s+unable\s+to|['’]m\s+unable\s+to|won['’]t|am\s+not\s+able\s+to)\s+(?:help|answer|assist|provide|determine|tell|do|comply|give|solve|be|fulfil|say|discuss|respond|complete|access|share)|i['’]m\s+(?:unable|not\s+able)\s+to|as\s+an\s+(?:ai|artificial)\b[^.!?]{0,40}(?:model|assistant|,)",
    unsure=r"not\s+(?:\w+\s+)?(?:sure|certain)|unsure|uncertain|don['’]?t\s+(?:really\s+)?know|do\s+not\s+know|no\s+idea|can(?:no|['’])t\s+(?:say|tell)|cannot\s+be\s+determined",
    closing=r"let\s+me\s+know|(?:i\s+)?hope\s+(?:this|that|it|my|the|i)\b|feel\s+free|if\s+you\s+(?:need|have|want|would|['’]d)|would\s+you\s+like|do\s+you\s+(?:want|need|have)|is\s+there\s+anything|thanks?\b|thank\s+you|you['’]re\s+welcome|good\s+luck|have\s+a\s+|please\s+(?:let|note|feel|verify|double)|confidence|note\b|disclaimer|source|reference|happy\s+to|glad\s+to|anything\s+else|answer\s+quality",
    restart=r"(?:next\s+)?question(?:\s*\d+)?|q\d*|problem(?:\s*\d+)?|exercise(?:\s*\d+)?|example(?:\s*\d+)?|human|user|instruction",
    minus=r"minus|negative",
    numbers="zero one two three four five six seven eight nine ten eleven twelve",
    ordinals="first second third fourth fifth sixth seventh eighth ninth tenth",
)
GERMAN = Language(
    answer=r"(?:(?:endgültige|finale|richtige|korrekte|beste|meine|schlussendliche)\s+){0,2}(?:antwort(?:möglichkeit)?|lösung|endergebnis|ergebnis|(?:richtige|korrekte|beste)\s+(?:option|wahl)|(?:richtig|korrekt)(?=\s+ist))",
    links=r"ist|sind|lautet|wäre|war|heißt|beträgt|muss\s+\w+\s+sein",
    negation=r"nicht|kein\w*|nie(?:mals)?|weder|noch|statt|ohne",
    but=r"sondern",
    alternatives=r"oder|und",
    reasons=r"weil|da|denn|also|wegen|ist|sind|mit|aus",
    option=r"option|möglichkeit|antwort(?:möglichkeit)?|auswahl",
    choose=r"ich\s+(?:wähle|nehme|entscheide\s+mich\s+für|tippe\s+auf)",
    right=r"richtig\w*|korrekt\w*|wahr|die\s+antwort",
    wrong=r"falsch\w*|inkorrekt\w*|unwahr",
    refusal=r"(?:es\s+)?tut\s+mir\s+leid\b[^.!?]{0,60}(?:nicht|kein\w*)|ich\s+kann\b[^.!?]{0,40}nicht\s+(?:helfen|beantworten|sagen|geben)|als\s+(?:ki|künstliche)\b",
    unsure=r"(?:nicht|un)\s*sicher|weiß\s+(?:es\s+|das\s+)?nicht|keine\s+ahnung",
    closing=r"(?:ich\s+)?hoffe|lass(?:\s+es)?\s+mich|wenn\s+du|falls\s+(?:du|sie)|sag\s+bescheid|danke|vielen\s+dank|viel\s+erfolg|gerne|möchten\s+sie|hinweis|konfidenz",
    restart=r"(?:nächste\s+)?frage(?:\s*\d+)?|aufgabe(?:\s*\d+)?|beispiel(?:\s*\d+)?|nutzer|benutzer",
    minus=r"minus",
    numbers="null ein/eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    ordinals="erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte",
)
FRENCH = Language(
    answer=r"(?:bonne\s+|ma\s+)?(?:réponse|solution|résultat)(?:\s+(?:finale?|correcte?|exacte?|juste|est\s+donc))?",
    links=r"est(?:\s+donc)?|sont|serait|était|vaut|doit\s+être",
    negation=r"pas|jamais|aucune?|ni|sans|plutôt\s+que|au\s+lieu",
    but=r"mais(?:\s+plutôt)?|plutôt",
    alternatives=r"ou|et",
    reasons=r"car|parce|puisque|donc|soit|est|sont|comme|avec|en|qui",
    option=r"option|choix|proposition|lettre|réponse",
    choose=r"je\s+(?:choisis|prends|sélectionne|opte\s+pour)",
    right=r"correcte?|juste|exacte?|vraie?|la\s+(?:bonne\s+)?réponse|bonne",
    wrong=r"fau(?:x|sse)|incorrecte?|inexacte?",
    refusal=r"(?:je\s+suis\s+)?désolée?\b[^.!?]{0,60}(?:pas|impossible)|je\s+ne\s+(?:peux|suis)\s+pas\b|en\s+tant\s+qu['’](?:ia|intelligence)",
    unsure=r"pas\s+(?:sûre?|certaine?)|ne\s+sais\s+pas|aucune\s+idée",
    closing=r"j['’]espère|n['’]hésite[zs]?|si\s+vous\s+(?:avez|voulez|souhaitez)|si\s+tu|merci|faites-moi|dites-moi|bonne\s+chance|voulez-vous|remarque|confiance",
    restart=r"question(?:\s+suivante|\s*\d+)?|exercice(?:\s*\d+)?|problème(?:\s*\d+)?|exemple(?:\s*\d+)?|utilisateur",
    minus=r"moins",
    numbers="zéro un/une deux trois quatre cinq six sept huit neuf dix onze douze",
    ordinals="premi deuxième/second troisième quatrième cinquième sixième septième huitième neuvième dixième",
)
SPANISH = Language(
    answer=r"(?:mi\s+)?(?:respuesta|solución|resultado|(?=opción\s+correcta)opción)(?:\s+(?:correcta|final|es\s+la))?",
    links=r"es|son|sería|serían|era|debe\s+ser|debería\s+ser",
    negation=r"no|nunca|ninguna?|ni|tampoco|sin|en\s+(?:lugar|vez)\s+de",
    but=r"sino|pero",
    alternatives=r"o|u|y|e",
    reasons=r"porque|ya|pues|dado|debido|como|es|son|con|en|que|por",
    option=r"opción|alternativa|letra|respuesta|inciso",
    choose=r"(?:elijo|escojo|selecciono|me\s+quedo\s+con)",
    right=r"correct[ao]|ciert[ao]|verdader[ao]|la\s+respuesta|acertad[ao]",
    wrong=r"incorrect[ao]|fals[ao]|erróne[ao]|equivocad[ao]",
    refusal=r"lo\s+siento\b[^.!?]{0,60}(?:no|imposible)|no\s+puedo\s+(?:ayudar|responder|contestar|proporcionar|decir|dar)|como\s+(?:una?\s+)?(?:ia|inteligencia|modelo)\b",
    unsure=r"no\s+(?:estoy\s+segur[ao]|lo\s+sé|sé)|ni\s+idea",
    closing=r"espero\s+que|avísame|si\s+(?:necesitas|tienes|quieres|desea|tiene|necesita)|no\s+dud[ae]s?|gracias|¿|buena\s+suerte|nota\b|confianza",
    restart=r"(?:siguiente\s+)?pregunta(?:\s*\d+)?|problema(?:\s*\d+)?|ejercicio(?:\s*\d+)?|ejemplo(?:\s*\d+)?|usuario",
    minus=r"menos",
    numbers="cero uno/una/un dos tres cuatro cinco seis siete ocho nueve diez once doce",
    ordinals="primer segund tercer cuart quint sext séptim octav noven décim",
)
PORTUGUESE = Language(
    answer=r"(?:minha\s+)?(?:resposta|solução|resultado|(?=opção\s+corr?eta)opção|(?=alternativa\s+corr?eta)alternativa)(?:\s+(?:corr?eta|certa|final))?",
    links=r"é|são|seria|seriam|era|deve\s+ser",
    negation=r"n[ãa]o|nunca|nenhuma?|nem|sem|em\s+vez\s+de",
    but=r"mas(?:\s+sim)?|e\s+sim|senão",
    alternatives=r"ou|e",
    reasons=r"porque|pois|já|dado|devido|como|é|são|com|em|que|por",
    option=r"opção|alternativa|letra|resposta",
    choose=r"(?:escolho|seleciono|fico\s+com|marco)",
    right=r"corr?et[ao]|cert[ao]|verdadeir[ao]|a\s+resposta",
    wrong=r"incorr?et[ao]|errad[ao]|fals[ao]",
    refusal=r"(?:desculpe|sinto\s+muito|lamento)\b[^.!?]{0,60}(?:não|impossível)|não\s+posso\s+(?:ajudar|responder|fornecer|dizer|dar)|como\s+(?:uma?\s+)?(?:ia|inteligência|modelo)\b",
    unsure=r"não\s+(?:tenho\s+certeza|sei)",
    closing=r"espero\s+que|me\s+avise|se\s+(?:precisar|tiver|quiser)|sinta-se|obrigad[ao]|boa\s+sorte|posso\s+ajudar|nota\b|observação|confiança",
    restart=r"(?:próxima\s+)?(?:pergunta|questão)(?:\s*\d+)?|problema(?:\s*\d+)?|exercício(?:\s*\d+)?|exemplo(?:\s*\d+)?|usuário",
    minus=r"menos",
    numbers="zero um/uma dois/duas três quatro cinco seis sete oito nove dez onze doze",
    ordinals="primeir segund terceir quart quint sext sétim oitav non décim",
)
ITALIAN = Language(
    answer=r"(?:mia\s+)?(?:risposta|soluzione|risultato|(?=opzione\s+corretta)opzione)(?:\s+(?:corretta|esatta|giusta|finale))?",
    links=r"è|sono|sarebbe|sarebbero|era|deve\s+essere",
    negation=r"non|mai|nessun\w*|né|senza|invece\s+di",
    but=r"ma(?:\s+bensì)?|bensì",
    alternatives=r"o|od|oppure|e|ed",
    reasons=r"perché|poiché|dato|dunque|quindi|come|è|sono|con|in|che|per",
    option=r"opzione|alternativa|lettera|risposta",
    choose=r"(?:scelgo|seleziono|opto\s+per)",
    right=r"corrett[ao]|esatt[ao]|giust[ao]|ver[ao]|la\s+risposta",
    wrong=r"sbagliat[ao]|errat[ao]|fals[ao]|scorrett[ao]",
    refusal=r"mi\s+dispiace\b[^.!?]{0,60}(?:non|impossibile)|non\s+posso\s+(?:aiutar|risponder|fornire|dire|dare)\w*|come\s+(?:ia|intelligenza|modello)\b",
    unsure=r"non\s+(?:sono\s+sicur[ao]|(?:lo\s+)?so)",
    closing=r"spero\s+che|fammi\s+sapere|se\s+(?:hai|avete|vuoi|desideri)|non\s+esitare|grazie|buona\s+fortuna|posso\s+aiutar|nota\b|fiducia",
    restart=r"(?:prossima\s+)?domanda(?:\s*\d+)?|problema(?:\s*\d+)?|esercizio(?:\s*\d+)?|esempio(?:\s*\d+)?|utente",
    minus=r"meno",
    numbers="zero uno/una/un due tre quattro cinque sei sette otto nove dieci undici dodici",
    ordinals="prim second terz quart quint sest settim ottav non decim",
)
RUSSIAN = Language(
    answer=r"(?:(?:правильн|верн|окончательн|итогов|мой)\w*\s+){0,2}(?:ответ|решение|результат|(?<=правильный\s)вариант|(?<=верный\s)вариант)",
    links=r"это|будет|является|равен|составляет",
    negation=r"не|ни|нет|никогда|вместо|без",
    but=r"а|но",
    alternatives=r"или|и|либо",
    reasons=r"потому|так|поскольку|ибо|это|как|с|из",
    option=r"вариант\w*|опци\w+|букв\w+|ответ\w*|пункт",
    choose=r"(?:я\s+)?выбира(?:ю|ем)",
    right=r"верн\w+|верен|правил\w+|ответ",
    wrong=r"неверн\w+|неправильн\w+|ошибочн\w+|ложн\w+",
    refusal=r"(?:извините|простите|к\s+сожалению)\b[^.!?]{0,60}\bне|я\s+не\s+могу|как\s+(?:ии|искусственный|языковая)\b",
    unsure=r"не\s+(?:уверен\w*|знаю)",
    closing=r"надеюсь|если\s+(?:у\s+вас|вам|тебе|нужн)|дайте\s+знать|спасибо|обращайтесь|удачи|хотите|примечание|уверенность",
    restart=r"(?:следующий\s+)?вопрос(?:\s*\d+)?|задача(?:\s*\d+)?|пример(?:\s*\d+)?|пользователь",
    minus=r"минус",
    numbers="ноль/нуль один/одна/одно два/две три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
    ordinals="перв втор трет четв пят шест седьм восьм девят десят",
)
CHINESE = Language(
    answer=r"(?:最终|最終|正确|正確|标准|標準|本题|本題|参考|我的|最佳)?的?(?:答案|答复|答覆|回答|正确选项|正確選項|正确的选项|正確的選項|选项应|结果|結果)",
    links=r"应该是|應該是|应该为|应当是|应是|应为|應為|就是|是|为|為|选择|選擇|选|選|等于",
    negation=r"不是|并非|並非|不应|不能|不会|没有|非|不",
    but=r"而是|而应|应该是",
    alternatives=r"或者|或|和|与|及|、",
    reasons=r"",
    option=r"选项|選項|选择|選擇|答案|第",
    choose=r"(?:故选|因此选|所以选|因此選|故選|所以選|应选|應選|[题題]选|我选择|我選擇|我选|我選|选择|選擇)",
    right=r"(?:是|为|為)?(?:正确|正確|对的|對的|最佳|答案)",
    wrong=r"(?:是|都)?(?:错误|錯誤|不正确|不正確|不对|不對|错)",
    refusal=r"(?:抱歉|对不起|對不起|很遗憾)[^。！？]{0,40}(?:无法|無法|不能|没法)|我(?:无法|無法|不能)(?:回答|帮助|幫助|提供)|作为(?:一个|一名)?(?:ai|人工智能|语言模型)",
    unsure=r"不确定|不確定|不知道|不清楚",
    closing=r"希望|如果(?:你|您|有|需要)|如有|请告诉|請告訴|谢谢|謝謝|祝|欢迎|还有(?:什么|其他)|需要我|注意|备注|注：|置信度",
    restart=r"(?:下一)?(?:问题|問題|题目|題目|例题|例子|用户|练习)\s*\d*",
    minus=r"负|負",
    numbers="零/〇 一 二/两/兩 三 四 五 六 七 八 九 十 十一 十二",
    ordinals="",
)
JAPANESE = Language(
    answer=r"(?:最終的な|最終|正しい|正解の|私の)?(?:答え|正解|解答|回答|正答|答|選択肢)",
    links=r"は",
    negation=r"",
    but=r"",
    alternatives=r"または|もしくは|あるいは|か|と|や",
    reasons=r"",
    option=r"選択肢|番号|記号|答え",
    choose=r"(?:私は)",
    right=r"(?:が|は)(?:正解|正しい|適切|答え)",
    wrong=r"(?:が|は)(?:間違|誤り|不正解|不適切|正しくない|正しくありません)",
    refusal=r"(?:申し訳|すみません|ごめん)[^。！？]{0,60}(?:できません|できない|ません|分かり|わかり)|お答えできません|お手伝いできません|aiとして",
    unsure=r"(?:分かり|わかり|確信が|自信が)(?:ません|ありません)|分からない|わからない|不明",
    closing=r"お役に|参考に|ご質問|もし|何か|他に|ありがとう|よろしく|頑張|注意|備考|信頼度|自信度",
    restart=r"(?:次の)?(?:問題|質問|例題|問|ユーザー|例)\s*\d*",
    minus=r"マイナス",
    numbers="",
    ordinals="",
)
KOREAN = Language(
    answer=r"(?:최종|올바른|정확한|맞는|나의|제)?\s?(?:정답|답변|해답|답|선택지)",
    links=r"은|는|이|가",
    negation=r"",
    but=r"",
    alternatives=r"또는|혹은|이거나|나|와|과",
    reasons=r"",
    option=r"선택지|보기|옵션|번호",
    choose=r"(?:저는|나는)",
    right=r"(?:이|가|은|는)\s?(?:정답|맞|옳|올바)",
    wrong=r"(?:이|가|은|는)\s?(?:틀|오답|잘못)",
    refusal=r"(?:죄송|미안)[^.!?]{0,60}(?:없|못|않)|(?:답변|도와)[^.!?]{0,10}(?:드릴\s+수\s+없|할\s+수\s+없)|ai로서",
    unsure=r"(?:잘\s)?모르겠|확실하지\s않|확신할\s수\s없",
    closing=r"도움이|궁금한|추가로|감사|언제든|필요하시|더\s|행운|참고|주의|신뢰도",
    restart=r"(?:다음\s)?(?:질문|문제|예제|예시|사용자)\s*\d*",
    minus=r"마이너스",
    numbers="",
    ordinals="",
)
_STEMS = """
answer option choice pick selection correct final antwort lösung ergebnis wahl richtig korrekt réponse solution résultat respuesta resultado
opción resposta solução solución opção alternativa risposta soluzione risultato opzione ответ решение результат вариант 答 选 選 结果 結果
正解 답 선택지 ####
"""
STEMS = tuple(_STEMS.split())  # one of these stands in every marker: lines without any are not searched
LANGUAGES = (ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN, RUSSIAN, CHINESE, JAPANESE, KOREAN)
SPACED = (ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN, RUSSIAN)  # words end at spaces
UNSPACED = (CHINESE, JAPANESE, KOREAN)  # words end anywhere
_FIELDS = frozenset(field.name for field in fields(Language))


@cache
def any_of(field: str) -> str:
    """What any language says for `field`, as one group: whole words where a language puts spaces between words."""
    spaced, unspaced = "|".join(_pieces(SPACED, field)), "|".join(_pieces(UNSPACED, field))
    return rf"(?:(?<![^\W\d_])(?:{spaced})(?![^\W\d_])" + (f"|{unspaced})" if unspaced else ")")


def _pieces(languages: tuple[Language, ...], field: str) -> Iterator[str]:
    if field not in _FIELDS:
        raise KeyError(field)
    return (piece for language in languages if (piece := getattr(language, field)))


@cache
def number_words() -> dict[str, int]:
    """Words for small numbers, of all languages that have some in the table."""
    return {
        spelling: value
        for language in reversed(LANGUAGES)
        for value, word in enumerate(language.numbers.split())
        for spelling in word.split("/")
    }


@cache
def ordinal_prefixes() -> dict[str, int]:
    """Beginnings of the words for first, second, ... of all languages that have some in the table."""
    return {
        prefix: place
        for language in reversed(LANGUAGES)
        for place, word in enumerate(language.ordinals.split(), start=1)
        for prefix in word.split("/")
    }
