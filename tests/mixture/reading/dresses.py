"""Families of answers: the same thing said in ten languages, in every usual notation, with what usually stands around it."""

from hypothesis import strategies as st

MARKED = (  # the answer stands where {} is
    "The answer is {}.",
    "The correct answer is: {}",
    "**Final Answer:** {}",
    "Answer: {}",
    "### Answer\n{}",
    "So the final answer is {}.",
    "The answer to the question is {}.",
    "<answer>{}</answer>",
    '{{"answer": "{}"}}',
    '```json\n{{"reasoning": "we think", "answer": "{}"}}\n```',
    "#### {}",
    "Antwort: {}",
    "Die richtige Antwort ist {}.",
    "Die Antwort lautet {}.",
    "La réponse est {}.",
    "Réponse : {}",
    "La bonne réponse est {}.",
    "La réponse correcte est {}.",
    "La respuesta es {}.",
    "Respuesta: {}",
    "La respuesta correcta es {}.",
    "A resposta é {}.",
    "Resposta: {}",
    "A resposta correta é {}.",
    "La risposta è {}.",
    "Risposta: {}",
    "La risposta corretta è {}.",
    "Ответ: {}",
    "Правильный ответ: {}.",
    "Правильный ответ — {}.",
    "答案：{}",
    "答案是{}。",
    "正确答案是 {}。",
    "答え：{}",
    "答えは{}です。",
    "正解は{}です。",
    "정답: {}",
    "정답은 {}입니다.",
)
BEFORE = (
    "",
    "We think about it step by step.\n\n",
    "<think>The answer is 987654. No: 31.</think>\n\n",
    "<thinking>\nAnswer: 99, (D)\n</thinking>",
    "[THINK]Maybe 55? Answer: 55[/THINK]",
    "The answer is 77, (D)</think>\n",
    "First, there are 12 of them. Then 13 more come.\n",
)
AFTER = (
    "",
    "\n\nLet me know if you want me to explain my answer in 3 steps!",
    "\n\nI hope this helps! This answer is 100% mine.",
    "\n\nConfidence: 95%",
    "\n\nQuestion: What is 2 + 2?\nAnswer: 4",
    "\n\nHuman: thanks\nAssistant: You are welcome. The answer is 8.",
    "\n\nHoffe, das hilft! Bei 2 Fragen gerne.",
    "\n\nSi tienes más preguntas, tengo 5 minutos.",
    "\n\n希望这5点对你有帮助。",
    "\n\n<|im_start|>user\nAnswer: 6",
)
CUT_OFF = ("<think>The answer is {}.", "<think>Hm.\n<reasoning>x</reasoning> Answer: {}", "[THINK]\\boxed{{{}}}")
REFUSALS = (
    "I'm sorry, but I can't help with that, see section {}.",
    "I cannot answer that question, option {}.",
    "As an AI language model, I know nothing about {}.",
    "Es tut mir leid, ich kann Ihnen bei {} nicht helfen.",
    "Je suis désolé, je ne peux pas répondre à {}.",
    "Lo siento, no puedo responder a {}.",
    "Desculpe, não posso responder a {}.",
    "Mi dispiace, non posso rispondere a {}.",
    "Извините, я не могу ответить на {}.",
    "抱歉，我无法回答{}。",
    "申し訳ありませんが、{}にはお答えできません。",
    "죄송하지만 {}에 답변할 수 없습니다.",
    "I don't know whether it is {}.",
)
frames = st.builds(
    lambda before, marked, after: (before, marked, after), st.sampled_from(BEFORE), st.sampled_from(MARKED), st.sampled_from(AFTER)
)


def dressed(frame: tuple[str, str, str], said: str) -> str:
    """An answer that states `said`."""
    before, marked, after = frame
    return before + marked.format(said) + after
