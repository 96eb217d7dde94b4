"""Real text of four kinds, a paragraph a piece, written for the tests of the token estimate."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

ENGLISH = """\
Could you explain to me why the sky is blue during the day and turns red in the evening? My daughter asked \
this at breakfast, and I noticed that I only half remember the reason from school.

Sunlight is a mixture of all colours. On its way through the air it meets molecules that are much smaller than \
its wavelength, and these scatter short waves far more strongly than long ones. Blue light is therefore thrown \
about in every direction and reaches your eyes from the whole sky. In the evening the light has to travel a much \
longer way through the atmosphere. Most of the blue is lost before it gets to you, and what remains is orange and red.

Thanks, that helps a lot. Then why isn't the sky violet? Violet has an even shorter wavelength, hasn't it?

Three things work together here. The sun gives off less violet than blue to begin with. A part of the violet is \
absorbed high above us, where it warms the upper layers. Finally, our eyes are simply less sensitive to violet, and \
the three kinds of receptors answer to the mixture as if it were a pale blue with some white in it.

We moved to a small town by the river last spring, and the garden had not been looked after for years. What should I \
plant along the northern wall, where the ground stays damp and there is hardly any sun before four in the afternoon?

Ferns and hostas will be happy there, and so will lungwort, which flowers early and feeds the first bumblebees. If you \
want something that climbs, try a climbing hydrangea: it is slow for two or three years, then covers the wall by \
itself and needs no wires. Dig in some leaf mould before you plant, water well through the first summer, and leave the \
fallen leaves where they are in autumn. Don't bother with lavender or rosemary on that side; they would only rot.

My grandfather used to repair clocks in the back room of his shop. On Saturdays I was allowed to sit beside him, as long \
as I touched nothing and asked no more than three questions before lunch. He kept the screws of every clock in a tin of \
its own, with a paper label, because he said that the only thing worse than a missing screw was a screw too many.

That is a lovely memory, and good advice for anyone who takes things apart. If you are writing it down for your family, \
I would begin with the tins: they show at once what kind of man he was. Then let him speak once or twice, and leave out \
whatever explains what the reader has already understood. Two pages are enough. Would you like me to suggest a first \
sentence, or shall we look at what you have written so far?

Please compare trains and night buses for a trip from Vienna to Hamburg in February. We are two adults with a child of \
seven, we have three suitcases, and nobody in the family sleeps well while sitting up.

Take the night train, then. It leaves in the evening, arrives before nine, and with a small compartment you can lock the \
door and lie down, which a bus cannot offer at any price. Book early, since the family compartments are few and sell out \
about two months ahead. A bus is roughly half as expensive, but in winter it is often late, and with three suitcases you \
would be glad not to change in Prague at midnight."""

RUSSIAN = """\
Объясни, пожалуйста, почему зимой под снегом земля не промерзает так глубоко, как на расчищенной дороге. Сосед говорит, \
что снег греет, но ведь он холодный, и я не понимаю, как холодное может греть.

Снег сам по себе не греет, он только мешает теплу уходить. Между снежинками очень много воздуха, а воздух плохо проводит \
тепло. Поэтому под толстым слоем снега температура почвы почти не меняется, и корни растений переживают даже сильные \
морозы. На дороге, где снег убирают каждый день, такого одеяла нет, и земля промерзает иногда на полтора метра.

Теперь понятно, спасибо. А правда ли, что в старину в деревнях нарочно засыпали снегом стены домов, чтобы внутри было \
теплее?

Да, это правда. Вокруг избы делали завалинку из земли, соломы и опилок, а с первыми снегопадами к ней подгребали ещё и \
снег. Ветер тогда не выдувал тепло из щелей, и дров уходило заметно меньше. Весной снег вовремя отбрасывали, иначе нижние \
брёвна начали бы гнить.

Мы с сестрой хотим летом пройти по берегу озера пешком, дня за четыре. Подскажи, что взять с собой, если ночевать будем в \
палатке, а магазин по пути только один, и тот работает не каждый день.

Возьмите лёгкую палатку, тёплые спальники и коврики: у воды по ночам прохладно даже в июле. Из еды лучше всего крупы, \
сухари, орехи, сушёные яблоки и немного сыра. Воду из озера обязательно кипятите. Не забудьте аптечку, спички в \
непромокаемой коробке, фонарик и запасные носки. И расскажите кому-нибудь, когда собираетесь вернуться, потому что связь на \
дальнем берегу бывает плохая.

Моя бабушка пекла хлеб по субботам, и весь дом просыпался от этого запаха. Рецепта она никогда не записывала, а на вопрос, \
сколько нужно муки, отвечала: сколько возьмёт. Теперь я пытаюсь повторить её хлеб, но он получается плотным и быстро черствеет.

Скорее всего, тесту не хватает воды и времени. Попробуйте взять на полкило муки триста пятьдесят граммов воды, замесить \
вечером и оставить до утра в прохладном месте. Утром сложите тесто несколько раз, дайте ему подойти и выпекайте в хорошо \
нагретой чугунной кастрюле под крышкой. Так внутри останется пар, корка будет тонкой и хрустящей, а мякиш мягким.

Какую книгу ты посоветуешь подростку, который любит математику, но терпеть не может школьные учебники? Ему пятнадцать лет, и \
он охотно читает о путешествиях.

Дайте ему сборник занимательных задач, где каждая начинается с маленькой истории, и биографию какого-нибудь мореплавателя или \
картографа. На карте удобно показать, зачем нужны углы, логарифмы и сферическая геометрия: без них ни один корабль не нашёл бы \
дороги домой. Если первая книга не понравится, не настаивайте, а предложите другую через месяц."""

CHINESE = """\
请问为什么冬天湖面结冰以后，湖底的鱼还能活下来？我小时候在老家看到渔民在冰上凿洞捕鱼，一直没有想明白其中的道理。

水在四摄氏度的时候密度最大，所以比较暖的水会沉到湖底，而更冷的水留在上面，最后在表面结成冰。冰层像一床被子，把下面的水和寒冷的空气隔开，\
湖底的温度因此一直保持在四度左右。鱼在这样的水里活动得很慢，需要的食物和氧气也很少，就可以安静地度过整个冬天。

原来如此，谢谢你。那么渔民为什么要凿洞呢？只是为了捕鱼，还是对鱼也有好处？

两方面都有。凿开的洞能让空气进入水中，补充鱼所需要的氧气。同时，缺氧的鱼会自己游到洞口附近，渔民捕起来就方便多了。不过在薄冰上走动非常危险，\
没有经验的人千万不要模仿。

我打算下个月带父母去南方旅行，大概一个星期。他们年纪大了，不想每天赶路，也吃不惯太辣的菜。你觉得应该怎样安排比较合适？

建议只选两个城市，每个城市住三到四天，这样不用天天收拾行李。上午精神好的时候去看园林或者博物馆，中午回旅馆休息，傍晚再到河边散步。吃饭可以选清淡的\
粥、蒸鱼和时令蔬菜，提前告诉店家不要放辣椒。出发之前记得准备常用的药，并且预订离车站比较近的旅馆。

我的外婆每年春天都要做青团。她先到田边采艾草，洗干净以后煮软，捣成绿色的汁，再和糯米粉揉在一起。我们几个孩子围在桌子旁边，等着第一笼出锅，\
手指被烫得通红也舍不得放下。

这段回忆写得很动人。如果你想把它写成一篇文章，可以从田边的艾草写起，让读者先闻到春天的味道，然后再写厨房里的热气和孩子们的笑声。结尾不必讲道理，\
只要写外婆把最后一个青团留给谁，就足够了。

最近我在学习弹钢琴，可是每天下班以后只有半个小时可以练习。老师说我的左手太僵硬，节奏也不稳，应该怎样利用这么短的时间？

半个小时其实不算短，关键是每次只解决一个问题。前十分钟放慢速度，用节拍器单独练左手，手腕放松，听清楚每一个音。中间十分钟把最难的两个小节合起来，\
重复到不再出错为止。最后十分钟完整地弹一首已经熟悉的曲子，让自己带着愉快的心情结束。坚持一个月，你会听到明显的变化。"""

PROSE = {"English": ENGLISH, "Russian": RUSSIAN, "Chinese": CHINESE}


def pieces_of(kind: str) -> list[str]:
    """The pieces of one kind of text, ten or more; code is this project's own."""
    if kind != "code":
        return PROSE[kind].split("\n\n")
    source = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("providers/breaker.py", "providers/wait_times.py")
    )
    lines = source.splitlines(keepends=True)
    return ["".join(lines[start : start + 14]) for start in range(0, len(lines), 14)]
