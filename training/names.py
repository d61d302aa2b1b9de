"""Names to learn copying with: some that people and places have all over the world, and some that nobody has.

Corpora of everyday sentences are full of two or three names; a model that has met only those writes one of them where
another stood.
"""

import random

NAMES = """
Aaliyah Abdullah Adebayo Agnieszka Aisha Alejandro Anastasia Andrzej Anjali Antonella Arjun Astrid Ayumi Beatriz
Bogdan Bjorn Camila Chiara Chidi Dagmar Daisuke Deepak Dimitri Dmitry Eilidh Emeka Eszter Fatima Fernanda Francesco
Gabriela Giorgos Giulia Goran Hanako Hassan Haruki Hiroshi Ibrahim Ingrid Ioana Isabella Ivana Jadwiga Jelena Joao
Kamala Karim Kateryna Kenji Khadija Kofi Krzysztof Kwame Lakshmi Leila Ljubica Lorenzo Magdalena Mahmoud Malgorzata
Marek Mehmet Mei Miguel Milena Minh Mohamed Mustafa Nadia Nikolai Nguyen Oksana Olumide Omar Pavel Piotr Rafael
Rajesh Ravi Rosalind Sakura Salma Sanjay Sergei Siobhan Sofia Stanislav Suresh Svetlana Takeshi Tariq Thandiwe
Tomasz Ulrike Vikram Vladimir Wojciech Xavier Yasmin Yusuf Yuki Zainab Zhang Zofia Zuzana Accra Almaty Ankara Bergen
Bilbao Bogota Brno Busan Cardiff Cusco Dakar Dhaka Galway Gdynia Hanoi Havana Izmir Jaipur Kampala Kigali Kyoto
Lagos Lima Lodz Lviv Malmo Manila Mumbai Nairobi Odessa Osaka Oslo Poznan Quito Riga Sapporo Sarajevo Seoul Tartu
Tirana Utrecht Vilnius Zagreb Carter Fischer Garcia Haddad Hoffman Ivanov Jensen Kowalski Larsen Lindgren Lopez
Mueller Nakamoto Novak Okafor Patel Petrov Popescu Rossi Sandoval Schneider Silva Suzuki Tanaka Torres Weber Yamada
"""
ONSETS = "b br c ch d dr f g gr h j k kl kr l m n p r s sh st t tr v w y z"
VOWELS = "a a e i o u ai ei ia ou"
CODAS = ("", "", "", "n", "l", "r", "s", "sk", "ng", "m", "tz")
SYLLABLES = (2, 2, 3, 4)


def another_name(chance: random.Random) -> str:
    """Returns one of the names, or, as often, one made up of syllables."""
    if chance.random() < 0.5:
        return chance.choice(NAMES.split())
    syllables = (chance.choice(ONSETS.split()) + chance.choice(VOWELS.split()) for _ in range(chance.choice(SYLLABLES)))
    return ("".join(syllables) + chance.choice(CODAS)).capitalize()
